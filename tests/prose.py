"""prose.py -- texts as people write them, for what compares texts: minutes of a board, in French.

Every set of minutes has the same opening, votes and closing, as such papers do; what was said differs. A seed
is a document: the same one gives the same text. The phrases are drawn from lists long enough that two documents
share single phrases and hardly two in a row.
"""
import random

WHO = """le directeur;la présidente;le commissaire;madame Vasseur;monsieur Kerouédan;le comité;le délégué;l'expert;le gérant;
l'administrateur;la secrétaire;la trésorière;le cabinet;monsieur Thibodeau;la juriste;le chef du projet;madame Ouedraogo;
l'actionnaire;la déléguée;le responsable;monsieur Lindqvist;le conseil;madame Bellanger;le notaire;le médecin;le voisin;
la directrice;le greffier;le banquier;monsieur Zaragoza;le stagiaire;l'architecte;le préfet;le transitaire;la maire""".replace("\n", "").split(";")
DID = """rappelle que;expose que;s'étonne que;observe que;précise que;rapporte que;souligne que;regrette que;annonce que;
confirme que;indique que;craint que;se réjouit que;note que;explique que;relève que;démontre que;admet que;conteste que;
avertit que;soutient que;doute que;signale que;reconnaît que;propose que;répète que;suppose que;espère que""".replace("\n", "").split(";")
WHAT = """le bâtiment;le contrat;la filiale;l'emprunt;le logiciel;la marge;le litige;le stock;le plan;l'audit;la ligne;
la subvention;le bail;la flotte;l'étude;la fusion;le calendrier;la prime;l'assurance;la réserve;le brevet;la garantie;
l'enquête;la chaudière;la grille;la crèche;la dette;le prototype;le quai;la campagne;le dépôt;le catalogue;la cuve;
le tarif;la licence;le chantier;le convoi;la toiture;le registre;la caution""".replace("\n", "").split(";")
OF = """du nord;de Bréhal;du printemps;de paie;des pièces;portugaise;d'Armorique;du port;de la région;des apprentis;
asiatique;de Morlaix;des véhicules;salin;d'hiver;des livraisons;de l'usine;des cargaisons;légale;torique;du siège;
des clients;de secours;des salaires;mutualisée;fiscale;immergé;du canal;de recrutement;de Nantes;danois;des matières;
annuel;du groupe;de juin;historique;provisoire;des ateliers;de l'export;en location""".replace("\n", "").split(";")
DOES = """sera achevé;dépasse;attend;reste suspendu;a été revu;exige;doit passer;retarde;n'appelle;sera confié;dégage;inquiète;
se poursuit;menace;respecte;provoque;sera étudié;représente;demande;rejoint;a été livré;suppose;coûte;attire;a été chiffré;
fonctionne;se heurte;sera voté;intéresse;remplace;couvre;précède;compense;double;ralentit;a été perdu;justifie""".replace("\n", "").split(";")
HOW = """avant la fin du trimestre;le budget;une signature;à l'avis du préfet;à la hausse;un surcoût;devant les salariés;
de cinq semaines;sans remarque;à un tiers;un excédent;les acheteurs;malgré la grève;sans pénalité;les prévisions;
une mise en demeure;en groupe;un tiers des ventes;un accord;les comptes;par moitié;deux déménagements;trop cher;
de bons candidats;bien trop bas;depuis mars;au refus des riverains;à la rentrée;la concurrence;nos capacités;à perte;
contre toute attente;un second devis;par prudence;au comptant;faute de bras""".replace("\n", "").split(";")
AFTER = """ce dont acte;sans débat;après discussion;jusqu'en %d;en toute discrétion;selon le rapport %d;malgré des doutes;
note %d à l'appui;sauf à Morlaix;si le devis de %d euros tient;au soulagement de tous;avant l'expertise;voir tableau %d;
sous réserve;faute de mieux;ce que déplore le personnel;quoi qu'il arrive;dès le %d du mois;avec la chambre;
contre deux voix;soit %d euros;page %d;vers %d heures;pour %d salariés;à %d pour cent""".replace("\n", "").split(";")

OPENING = ["Procès-verbal de la réunion du conseil d'administration.",
           "Le quorum étant atteint, la présidente déclare la séance ouverte et constate que le conseil peut valablement délibérer.",
           "Le procès-verbal de la réunion précédente est approuvé à l'unanimité sans modification."]
CLOSING = ["Cette résolution, mise aux voix, est adoptée à l'unanimité des membres présents ou représentés.",
           "L'ordre du jour étant épuisé et personne ne demandant plus la parole, la séance est levée.",
           "De tout ce que dessus il a été dressé le présent procès-verbal, signé par la présidente et un administrateur."]
DISCLAIMER = ("Ce message et les pièces jointes sont confidentiels et établis à l'intention exclusive de leurs destinataires. "
              "Toute utilisation ou diffusion non autorisée est interdite. Si vous avez reçu ce message par erreur, merci d'en "
              "avertir immédiatement l'expéditeur et de le détruire.")


def sentence(r):
    s = " ".join(r.choice(x) for x in (WHO, DID, WHAT, OF, DOES, HOW)) + ", " + r.choice(AFTER)
    s = s.replace("%d", str(r.randrange(2, 2000)))
    return s[0].upper() + s[1:] + "."


def minutes(seed, paragraphs=40):
    """A list of paragraphs, of four sentences each; ten of them are about a page."""
    r = random.Random(seed)
    body = [" ".join(sentence(r) for _ in range(4)) for _ in range(paragraphs)]
    body[paragraphs // 2:paragraphs // 2] = [CLOSING[0]]
    return [*OPENING, *body, *CLOSING[1:]]


def edited(paragraphs, seed=1):
    """As somebody rewrites it who does not want to be seen: a word in each sentence is another, some are left out."""
    r, out = random.Random(seed), []
    for p in paragraphs:
        said = []
        for s in p.split(". "):
            words = s.split(" ")
            if r.random() < 0.1:
                continue
            words[r.randrange(len(words))] = r.choice(["toutefois", "environ", "désormais", "notamment"])
            said.append(" ".join(words))
        out.append(". ".join(said))
    return out
